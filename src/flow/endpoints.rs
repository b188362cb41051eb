//! Endpoints: list, create, set, pause, resume, rotate, test, delete; and what was delivered to them.

use serde_json::Value;
use sqlx::types::Json;

use super::{
    Error, Queue,
    groups::ChangeError,
    view::{CallDelivery, DeliveryState, Endpoint, EndpointDelivery, EndpointDeliverySummary},
};
use crate::domain::CallId;

/// Filters of the deliveries to an endpoint.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those about this call.
    pub call: Option<CallId>,
    /// Only those before this one: the last of the previous page.
    pub before: Option<String>,
}

impl Queue {
    /// All endpoints, or the one with this name.
    pub async fn endpoints(&self, name: Option<&str>) -> Result<Vec<Endpoint>, Error> {
        let sql = include_str!("../../sql/read/endpoints.sql");
        let rows: Vec<(Json<Endpoint>,)> =
            sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Creates an endpoint; returns its secret, or none if the name is taken.
    pub async fn create_endpoint(
        &self,
        name: &str,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<String>, ChangeError> {
        let answer = sqlx::query_as("select pgdial.create_endpoint($1, $2, $3, $4)")
            .bind(name)
            .bind(Json(changes))
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(secret,)| secret).map_err(ChangeError::of)
    }

    /// Changes an endpoint's URL, kinds or campaigns; false if there is none with this name.
    pub async fn set_endpoint(
        &self,
        name: &str,
        changes: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let sql = "select pgdial.set_endpoint($1, $2, $3, $4)";
        self.change(sql, name, changes, (by, why)).await
    }

    /// Deletes an endpoint; false if there is none with this name.
    pub async fn delete_endpoint(
        &self,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<bool, ChangeError> {
        let answer = sqlx::query_as("select pgdial.delete_endpoint($1, $2, $3)")
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(found,)| found).map_err(ChangeError::of)
    }

    /// Makes a new secret, beside which the present one signs for this long. None if there is no such endpoint.
    pub async fn rotate_endpoint(
        &self,
        name: &str,
        overlap: Option<&str>,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<String>, ChangeError> {
        let sql = "select pgdial.rotate_endpoint($1, coalesce($2, '24 hours'), $3, $4)";
        let answer = sqlx::query_as(sql)
            .bind(name)
            .bind(overlap)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(secret,)| secret).map_err(ChangeError::of)
    }

    /// Sends a test; returns the delivery's id, or none if there is no such endpoint.
    pub async fn test_endpoint(
        &self,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<String>, ChangeError> {
        let answer = sqlx::query_as("select pgdial.test_endpoint($1, $2, $3)")
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        answer.map(|(id,)| id).map_err(ChangeError::of)
    }

    /// A page of the deliveries to an endpoint, the latest events first.
    pub async fn endpoint_deliveries(
        &self,
        name: &str,
        filter: &DeliveryFilter,
        limit: i64,
    ) -> Result<Vec<EndpointDeliverySummary>, Error> {
        let sql = include_str!("../../sql/read/endpoint_deliveries.sql");
        let rows: Vec<(Json<EndpointDeliverySummary>,)> = sqlx::query_as(sql)
            .bind(name)
            .bind(filter.state.map(DeliveryState::as_str))
            .bind(filter.call.map(|call| call.0))
            .bind(filter.before.as_deref())
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Deliveries of the events of one call, to all endpoints, the latest events first.
    pub async fn call_deliveries(
        &self,
        call: CallId,
        limit: i64,
    ) -> Result<Vec<CallDelivery>, Error> {
        let sql = include_str!("../../sql/read/call_deliveries.sql");
        let rows: Vec<(Json<CallDelivery>,)> = sqlx::query_as(sql)
            .bind(call.0)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// One delivery with its body and its attempts.
    pub async fn endpoint_delivery(
        &self,
        name: &str,
        id: &str,
    ) -> Result<Option<EndpointDelivery>, Error> {
        let sql = include_str!("../../sql/read/endpoint_delivery.sql");
        let row: Option<(Json<EndpointDelivery>,)> = sqlx::query_as(sql)
            .bind(name)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.0.0))
    }
}
